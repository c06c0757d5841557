"""Conformance statements of a configuration, from the tables by which the gateway serves and the configuration itself.

No fact of a service is written a second time here: texts explain, tables are read.
"""
