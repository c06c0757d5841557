"""DICOM headers and orders to FHIR resources."""
