"""`${language:CHARSET,KEY}` in a config: what the entry of a charset's language says, such as its words."""

from omegaconf import OmegaConf

from shared.ocr.script.charset import language_setting

OmegaConf.register_new_resolver("language", language_setting, replace=True)
