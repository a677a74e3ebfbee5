$('about').append(...(page.about ?? '').split(/\n\s*\n/).filter((part) => part.trim()).map((part) => h('p', {}, part.trim())));
$('facts').append(...page.facts.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]).flat());
settings();
plots();
outputs();
runs();
compare();
document.documentElement.dataset.ready = 'yes';
