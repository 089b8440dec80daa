"""The native bridge; plugin.cpp is compiled by setup.py."""
