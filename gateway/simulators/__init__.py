"""A RIS, a modality and an EHR, polite or badly behaved, for demos and tests."""
