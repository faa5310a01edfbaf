const root = document.documentElement;
root.classList.add('scripted');
const say = text => {
  const toast = document.querySelector('.toast');
  toast.textContent = text;
  setTimeout(() => { toast.textContent = ''; }, 2500);
};
addEventListener('click', e => {
  const button = e.target.closest('[data-do]');
  if (!button) return;
  if (button.dataset.do === 'theme') {
    const dark = root.dataset.theme === 'dark' || !root.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
    return;
  }
  const text = button.closest('.code').querySelector('pre');
  const select = () => { getSelection().selectAllChildren(text); say('Selected'); };
  if (navigator.clipboard) navigator.clipboard.writeText(text.textContent).then(() => say('Copied'), select);
  else select();
});
const search = document.querySelector('[data-filter]');
if (search) {
  search.form.addEventListener('submit', e => e.preventDefault());
  const none = document.querySelector('.found-none');
  search.addEventListener('input', () => {
    const words = search.value.toLowerCase();
    let found = 0;
    for (const one of document.querySelectorAll(search.dataset.filter)) {
      one.hidden = !one.textContent.toLowerCase().includes(words);
      if (!one.hidden) found++;
    }
    if (none) none.hidden = found > 0;
  });
  addEventListener('keydown', e => {
    if (e.key === '/' && e.target.tagName !== 'INPUT') { e.preventDefault(); search.focus(); }
  });
}
addEventListener('beforeprint', () => {
  for (const one of document.querySelectorAll('details')) one.open = true;
});
