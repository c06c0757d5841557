"""Station `study_arrival`: instances arrive; their headers are kept."""
