"""The S3 protocol without I/O: request in, typed operation out, response text back."""
