"""Syslog: messages (RFC 5424), over TLS (RFC 5425) or UDP (RFC 5426)."""
