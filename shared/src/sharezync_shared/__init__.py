"""Mechanisms and published language that two or more services use; never business."""
