"""Station `study_settling`: a study that is complete or quiet becomes a FHIR resource."""
