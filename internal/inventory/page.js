const root = document.documentElement;
root.classList.add('scripted');
document.getElementById('theme').addEventListener('click', () => {
  const dark = root.dataset.theme === 'dark' || !root.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
});
const search = document.getElementById('q');
if (search) {
  search.form.addEventListener('submit', e => e.preventDefault());
  search.addEventListener('input', () => {
    for (const row of document.querySelectorAll('#inv tbody tr')) row.hidden = !row.textContent.toLowerCase().includes(search.value.toLowerCase());
  });
  addEventListener('keydown', e => {
    if (e.key === '/' && e.target.tagName !== 'INPUT') { e.preventDefault(); search.focus(); }
  });
}
