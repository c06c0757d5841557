"""What operations return to pages, API and commands: values with a JSON form."""
