"""What people look at: one self-contained HTML page with tables and pictures."""
