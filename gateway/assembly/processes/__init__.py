"""Several processes of one gateway: the ports that they share, who watches over them, what each has of a limit."""
