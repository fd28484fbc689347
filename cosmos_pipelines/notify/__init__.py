"""Messages to people: what has happened, as one text, by mail, Slack, Teams or webhook."""
