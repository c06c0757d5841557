"""HL7 v2: messages, character sets, acknowledgements, batches, structure checks, and MLLP."""
