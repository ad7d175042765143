"""ShareZync storage.

Owns the bytes: files, the uploads and chunks they come in, and what each user may keep. The only
service that speaks S3. It signs links to a file for whoever asks from inside and never knows why:
who may see what is decided by the service that knows.
"""
