"""What a target would take, from rates that were measured: nothing here is guessed."""
