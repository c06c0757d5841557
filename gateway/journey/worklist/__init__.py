"""Station `worklist`: a scanner asks for its scheduled procedure steps."""
