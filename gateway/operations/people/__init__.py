"""Who may use the HTTP side: users and their sessions, API tokens, and how often a secret may be guessed."""
