"""A de-identified copy of what the gateway knows, for analytics (PS3.15 Annex E): named column by column."""
