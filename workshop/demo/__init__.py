"""The main job, shown on a throw-away server and a stand-in for a mail provider."""
