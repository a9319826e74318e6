"""The demonstration (`luab demo`): raw files -> dataset -> plain and LUAB training -> table and picture."""
