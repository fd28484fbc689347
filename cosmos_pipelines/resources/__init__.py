"""Where orders run and where records are kept, each as one thing with verbs."""
