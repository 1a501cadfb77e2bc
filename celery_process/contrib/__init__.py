"""What ties the library to other frameworks; nothing here is imported unless they are used."""
