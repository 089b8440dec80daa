"""Containers: what a file holds, and writing the finished one with everything else copied bit for bit."""
