"""Files from device to device: `sending` and `receiving`, on pure parts and a little record."""
