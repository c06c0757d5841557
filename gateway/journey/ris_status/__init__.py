"""Station `ris_status`: RIS and other systems are told over HL7 how orders stand, and get messages as they came."""
