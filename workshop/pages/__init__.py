"""What writes documentation and generated code from the files that hold the facts."""
