"""The console in a real browser: `make browser`. Screenshots go to the folder that BROWSER_SHOTS names."""
