"""Station `ris_status`: RIS and other systems get statuses of orders over HL7, and messages as they came."""
