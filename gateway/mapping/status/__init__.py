"""Statuses: a performed step with its order -> the fields of an HL7 message to the RIS."""
