"""What the stages exchange: tables, records and the settings that users write. Nothing of ours lies below."""
