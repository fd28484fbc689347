"""What runs take and cost."""
