"""How the embedded align model was made. Run by hand, never by continuous integration."""
