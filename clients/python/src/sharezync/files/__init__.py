"""Files that are kept by the server: `uploads` (tus 1.0) and `downloads`."""
