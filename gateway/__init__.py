"""The imaging gateway: HL7 orders to DICOM worklists, studies to FHIR ImagingStudy."""
