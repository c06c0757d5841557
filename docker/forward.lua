-- A study to which nothing has been added for StableAge seconds is sent to the gateway, as a job that Orthanc's page
-- lists and that can be resubmitted there. (SendToModality would take instances only.)
function OnStableStudy(studyId, tags, metadata)
  RestApiPost('/modalities/gateway/store', DumpJson({ Resources = { studyId }, Synchronous = false }, true))
end
