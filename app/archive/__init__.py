"""The gallery outside of the service: backups to the byte, exports that others can read."""
