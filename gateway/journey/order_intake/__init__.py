"""Station `order_intake`: an HL7 message is kept as received, applied, and acknowledged."""
