"""Files that go along with a prompt: how they are read, what may go, and how text is put into a message."""
