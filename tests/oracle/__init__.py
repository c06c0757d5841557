"""What a worklist must show of a history of HL7 messages, by a model written from the standard and from our documents.

HL7 v2.5.1 chapters 3 (patients), 4 (orders) and 10 (appointments), `docs/architecture.md`, `docs/operations.md` and
`docs/mappings.md`: no module here imports the rules of the gateway. A clause in a docstring is one of HL7 v2.5.1.
"""
