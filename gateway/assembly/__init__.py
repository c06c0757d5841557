"""From the configuration to running objects: one module for each part of the gateway, and the process of them all."""
