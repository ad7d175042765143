"""What the tests of two or more members use: real servers, fakes, and checks that run anywhere."""
