# Manual pages.
dist_man_MANS += man/prompt-fpm.8 man/prompt-fpm.conf.5
dist_man_MANS += man/promptctl.1 man/prompt.5
