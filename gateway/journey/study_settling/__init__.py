"""Station `study_settling`: a study that has been quiet becomes a FHIR resource."""
