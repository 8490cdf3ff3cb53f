// Runs before the page is painted, so that a chosen theme does not flash. Without a choice the system decides.
{
  const chosen = localStorage.getItem("bowerbird.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
