"""Station `image_forwarding`: instances go on to the archives that the site names, and leave the spool after that."""
