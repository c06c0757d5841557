"""DICOMweb (PS3.18): data sets as DICOM JSON and Native DICOM XML, the grammar of searches, capabilities."""
