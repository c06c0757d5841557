"""Station `ehr_delivery`: a resource goes to an EHR, once."""
