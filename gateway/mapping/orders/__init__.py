"""HL7 orders and worklist files to DICOM attributes."""
