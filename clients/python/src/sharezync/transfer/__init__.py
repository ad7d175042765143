"""Files from device to device: `sender` and `receiver`, on `chunks` and a record."""
