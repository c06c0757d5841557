"""Logins at an EHR: Basic, bearer tokens, OAuth client credentials, SMART Backend Services."""
